//! What a user types: every command once, its help, its exit status, its clear error.
