package import Glibc

/// Functions of glibc's posix_spawn(3) that Swift's Glibc hides, because they need `_GNU_SOURCE`.
package enum SpawnExtensions {
    /// The flag `POSIX_SPAWN_SETSID` (glibc 2.26).
    static let newSession: Int32 = 0x80

    private typealias AddCloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
    private typealias AddChangeDirectory =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32

    /// In the child: closes all descriptors from `lowest` on (glibc 2.34).
    package static func closeFrom(_ lowest: Int32, _ actions: inout posix_spawn_file_actions_t) -> Int32 {
        guard let symbol = symbol("posix_spawn_file_actions_addclosefrom_np") else { return ENOSYS }
        return unsafeBitCast(symbol, to: AddCloseFrom.self)(&actions, lowest)
    }

    /// In the child: changes the working directory (glibc 2.29).
    package static func changeDirectory(_ path: String, _ actions: inout posix_spawn_file_actions_t) -> Int32 {
        guard let symbol = symbol("posix_spawn_file_actions_addchdir_np") else { return ENOSYS }
        return unsafeBitCast(symbol, to: AddChangeDirectory.self)(&actions, path)
    }

    private static func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        guard let program = dlopen(nil, RTLD_NOW) else { return nil }
        defer { dlclose(program) }
        return dlsym(program, name)
    }
}
