//! Busy ports, taken folders, and a server that is told to end.
