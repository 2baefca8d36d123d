/** What every package looks like from here: empty. The wire formats import nothing but each other; see tsconfig.json. */
export {};
