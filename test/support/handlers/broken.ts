throw new Error("cannot even load");
export const run = 1;
