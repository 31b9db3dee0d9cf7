/* A library for LD_PRELOAD that ends a program at a chosen change of its files. It has no API: it intercepts libc's
   functions, and is controlled by environment variables.

   CRASH_ROOT    An existing directory, as an absolute path. Calls that change files in it, or create files and
                 directories, are counted from 1. Required; without it the library does nothing.
   CRASH_AT      The number of the call at which to end. Without it the program runs to its end.
   CRASH_HOW     "before": SIGKILL instead of the call. "middle": SIGKILL after half of a write; for other calls as
                 "before". "after": SIGKILL after the call. "cut": as "before", and CRASH_IMAGE gets the state after a
                 power cut: only what was synced. "torn": as "cut", but any unsynced data may have reached the disk too,
                 in sectors of 512 bytes and in any order, drawn with CRASH_SEED. "failedSync": CRASH_AT counts only
                 syncs that have something to write, and this one returns EIO. The program runs to its end, and as in
                 Linux the next sync succeeds without those bytes; CRASH_IMAGE gets the state after a power cut at the
                 end.
   CRASH_IMAGE   An existing directory, which gets the content of CRASH_ROOT after a power cut. Required with "cut",
                 "torn" and "failedSync".
   CRASH_SEED    A number; it determines the sectors.
   CRASH_NOTE    A file, which gets the call at which the program was ended, or "calls: N" if it ran to its end. With
                 "failedSync", it gets the path of the file whose sync failed.

   The model of the disk guarantees only what POSIX does: written data is durable once the file is synced, and a created
   or removed name once its directory is synced. All that exists when the program starts is on disk. As in all current
   file systems, an unsynced rename is atomic: both names are as before, or both as after. A file that existed at the
   start and was not opened for writing is the same file in the image, with its inode and its times; if it was removed,
   it is kept as CRASH_IMAGE.kept-N. */
