export const run = 42;
