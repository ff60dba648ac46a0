//! The small languages inside manifest strings, in nom.
