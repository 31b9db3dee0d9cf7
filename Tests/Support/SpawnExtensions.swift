import Glibc

/// File actions of posix_spawn(3) that glibc has but Swift's import of it hides (they need `_GNU_SOURCE`).
enum SpawnExtensions {
    private typealias AddCloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
    private typealias AddChangeDirectory =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32

    /// In the child: closes every descriptor from `lowest` on, whoever opened it (glibc 2.34).
    static func closeFrom(_ lowest: Int32, _ actions: inout posix_spawn_file_actions_t) -> Int32 {
        guard let symbol = symbol("posix_spawn_file_actions_addclosefrom_np") else { return ENOSYS }
        return unsafeBitCast(symbol, to: AddCloseFrom.self)(&actions, lowest)
    }

    /// In the child: changes the working directory (glibc 2.29).
    static func changeDirectory(_ path: String, _ actions: inout posix_spawn_file_actions_t) -> Int32 {
        guard let symbol = symbol("posix_spawn_file_actions_addchdir_np") else { return ENOSYS }
        return unsafeBitCast(symbol, to: AddChangeDirectory.self)(&actions, path)
    }

    private static func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        guard let program = dlopen(nil, RTLD_NOW) else { return nil }
        defer { dlclose(program) }
        return dlsym(program, name)
    }
}
