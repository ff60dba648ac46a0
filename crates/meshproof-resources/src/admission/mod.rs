//! What the API server and the webhook of istiod say of an object.
