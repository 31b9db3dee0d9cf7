#include "CEntry.h"

static int count;
static char *const *arguments;

/* glibc passes main's arguments to constructors too, in dynamic and static programs. Swift's main cannot be replaced,
   because SwiftPM renames it. */
__attribute__((constructor)) static void keep_arguments(int argumentCount, char **argumentVector) {
    count = argumentCount;
    arguments = argumentVector;
}

int mule_argument_count(void) {
    return count;
}

char *const *mule_arguments(void) {
    return arguments;
}
