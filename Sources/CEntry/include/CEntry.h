#ifndef MULE_CENTRY_H
#define MULE_CENTRY_H

/* The arguments of main, which Swift's entry point drops. Swift's own CommandLine reads /proc/self/cmdline, which may
   not exist, or looks for them below `environ`, which a preloaded library may have moved (swiftlang/swift#76080). */

/* With the program's own name. */
int mule_argument_count(void);

/* Ends with a null pointer; must not be freed. */
char *const *mule_arguments(void);

#endif
