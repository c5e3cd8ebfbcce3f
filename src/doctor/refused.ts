/** Why nothing was rebuilt; nothing was changed. */
export class RebuildRefused extends Error {}
