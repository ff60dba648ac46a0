//! Text of manifests: finding files, decoding, document splitting, spans and positions.
