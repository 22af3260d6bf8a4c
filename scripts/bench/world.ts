/** What is installed. */

/** Alpine's base with what most of our users add: of Alpine 3.19, 47 packages, 23 MB. */
export const usualWorld: readonly string[] = ['alpine-base', 'openssh', 'chrony']
