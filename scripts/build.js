// Builds dist/: the library, the command line and the meter's page.
