#ifndef MULE_CSQLITE_SHIM_H
#define MULE_CSQLITE_SHIM_H

#include <sqlite3.h>

/* Swift cannot call functions with a variable number of arguments. */
static inline int mule_disable_memory_statistics(void) {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

#endif
