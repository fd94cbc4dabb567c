//! The collector against a real HTTP server.
