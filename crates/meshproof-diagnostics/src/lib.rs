//! What a finding is: plain data, no renderer.
