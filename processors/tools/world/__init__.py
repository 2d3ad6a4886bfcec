"""A data set told to the system as events, as if its users had used the app."""
