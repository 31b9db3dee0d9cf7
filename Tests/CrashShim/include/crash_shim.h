/* A library for LD_PRELOAD that ends a program at a chosen change of its files. It exports nothing to call: it stands
   before libc's own functions, and is told by environment variables what to do.

   CRASH_ROOT    A directory that exists, as an absolute path. Calls that change files in it, and the making of the
                 directories and files themselves, are counted from 1. Needed; without it the library does nothing.
   CRASH_AT      The number of the call to end at. Without it the program runs to its end.
   CRASH_HOW     "before": SIGKILL instead of the call. "middle": half of a write is done (other calls: none), then
                 SIGKILL. "after": SIGKILL when the call has been done. "cut": as "before", and what a power cut leaves is
                 put into CRASH_IMAGE: only what was synced. "torn": as "cut", but any part of what was not synced may
                 have reached the disk too, in sectors of 512 bytes and in any order, as CRASH_SEED draws.
   CRASH_IMAGE   A directory that exists; it becomes what the disk holds of CRASH_ROOT after a power cut.
   CRASH_SEED    A number; another one draws other sectors.
   CRASH_NOTE    A file: which call the program was ended at, or "calls: N" when it ran to its end.

   The model of the disk is POSIX's without favours: what was written lasts when the file was synced, and the name of a
   file or directory that was made or removed lasts when its directory was synced. What was there when the program began
   is on disk. One favour that every file system of today does: of a rename none of whose directories was synced, both
   names are there as before or both as after. A file that was there at the beginning and was not opened for writing is in
   the image as itself, with its inode and its times; one that is removed before is kept as CRASH_IMAGE.kept-N. */
