#include "CEntry.h"

static int count;
static char *const *arguments;

/* glibc gives constructors what it gives to main, in the dynamic and in the static case. Swift's main can't be replaced:
   SwiftPM renames it. */
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
