//! The library facade and the meshproof command.
