//! Client library, encrypted local store, and the sotto program.
