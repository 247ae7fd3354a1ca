/** Longest name, in characters. Shared by the server, which decides, and the page, which helps. */
export const NAME_LIMIT = 60;

/** Longest message, in characters. */
export const MESSAGE_LIMIT = 500;
