extension TestCommand {
    /// Whether file systems may be mounted in a namespace of a command's own.
    package static let canMount: Bool = {
        let directory = ScratchDirectory()
        let mount = TestCommand("/bin/true", [], home: directory.path)
            .inMountNamespace("mount -t tmpfs -o size=1m mule-test \"$1\"", [directory.path])
        return (try? mount.run().exitCode) == 0
    }()

    /// The command in its own mount namespace, as its root.
    ///
    /// - Parameters:
    ///   - script: for the shell; its mounts vanish with it. `$0` is the program, `"$@"` are the words and then the
    ///     program's arguments.
    package func inMountNamespace(_ script: String, _ words: [String]) -> TestCommand {
        var command = self
        command.executable = "/usr/bin/env"
        let shell = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, executable] + words
        command.arguments = shell.map { Array($0.utf8) } + arguments
        return command
    }
}
