import TestSupport
import Testing

/// Each script of `mule completion` in its own shell, with the program that this test run has built.
@Suite struct CompletionTests {
    private let mule = MuleRun(FakeS3())

    struct Case: Sendable {
        /// The line up to the cursor, without the program's name.
        var line: String
        /// The only word that the last one is completed to.
        var offered: String
    }

    static let cases = [
        Case(line: "up", offered: "upload"),
        Case(line: "upload --part-s", offered: "--part-size"),
        Case(line: "status --rem", offered: "--remote"),
        Case(line: "upload --checksum crc64", offered: "crc64nvme"),
        Case(line: "archive nig", offered: "nightly"),
        Case(line: "report --job wee", offered: "weekly"),
        Case(line: "resume --profile arch", offered: "archive-keys"),
        Case(line: "completion z", offered: "zsh"),
        Case(line: "upload dump.t", offered: "dump.tar"),
    ]

    /// A home with two jobs, two profiles, a file, and the program on the path.
    private func prepare() throws -> String {
        try mule.home.write(
            #"{"jobs": {"nightly": {"source": "/a", "destination": "b/a/"}, "weekly": {"source": "/b", "destination": "b/b/"}}}"#,
            to: ".config/mule/config.json"
        )
        try mule.home.write(
            "[profile archive-keys]\nregion = eu-west-1\n[profile other-keys]\nregion = eu-west-1\n",
            to: ".aws/config"
        )
        try mule.home.write("x", to: "dump.tar")
        let program = mule.command([]).executable
        try mule.home.write("#!/bin/sh\nexec '\(program)' \"$@\"\n", to: "bin/mule")
        let mode = try TestCommand("/bin/chmod", ["+x", mule.home.path + "/bin/mule"], home: mule.home.path).run()
        #expect(mode.exitCode == 0)
        return mule.home.path
    }

    private func run(_ shell: String, _ arguments: [String]) throws -> CommandOutcome {
        let home = try prepare()
        let path = "\(home)/bin:/usr/local/bin:/usr/bin:/bin"
        var command = TestCommand(
            "/usr/bin/\(shell)",
            arguments,
            home: home,
            environment: ["PATH": path, "TERM": "dumb"]
        )
        command.workingDirectory = home
        return try command.run()
    }

    @Test(.enabled(if: Files.exists("/usr/bin/bash")), arguments: cases)
    func bash(example: Case) throws {
        let script = """
            source <(mule completion bash)
            read -ra COMP_WORDS <<< "mule $1"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            compopt() { :; }
            _mule
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let outcome = try run("bash", ["--norc", "-c", script, "bash", example.line])
        #expect(outcome.lines == [example.offered], "\(outcome.err)")
    }

    @Test(.enabled(if: Files.exists("/usr/bin/bash"))) func `bash completes the value after an equals sign`() throws {
        let script = """
            source <(mule completion bash)
            COMP_WORDS=(mule upload --checksum = md)
            COMP_CWORD=4
            _mule
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        #expect(try run("bash", ["--norc", "-c", script]).lines == ["md5"])
    }

    @Test(.enabled(if: Files.exists("/usr/bin/fish")), arguments: cases)
    func fish(example: Case) throws {
        let outcome = try run(
            "fish",
            ["--no-config", "-c", "mule completion fish | source; complete -C 'mule \(example.line)'"]
        )
        let offered = outcome.lines.map { String($0.prefix { $0 != "\t" }) }
        #expect(offered == [example.offered], "\(outcome.err)")
    }

    /// zsh completes only on a terminal: the line is typed there, and Tab.
    @Test(.enabled(if: Files.exists("/usr/bin/zsh")), arguments: cases)
    func zsh(example: Case) throws {
        let script = """
            zmodload zsh/zpty
            zpty -b shell zsh -f -i
            zpty -w shell 'PS1=; setopt no_beep; autoload -U compinit; compinit -u -D; source <(mule completion zsh)'
            zpty -w shell 'show() { print -r -- "BUFFER:$BUFFER:END" }; zle -N show; bindkey "^X" show; echo REA""DY'
            zpty -r -m shell text '*READY*'
            zpty -w -n shell "mule $1"$'\\t\\x18'
            zpty -r -m shell text '*BUFFER:*:END*'
            print -r -- ${${text##*BUFFER:}%%:END*}
            zpty -d shell
            """
        let outcome = try run("zsh", ["-f", "-c", script, "zsh", example.line])
        // zsh adds the "=" of an option with a value.
        let completed = outcome.lines.first.map { $0.hasSuffix("=") ? String($0.dropLast()) : $0 } ?? ""
        let typed = example.line.split(separator: " ").dropLast().map { $0 + " " }.joined()
        #expect(completed.split(separator: " ").joined(separator: " ") == "mule \(typed)\(example.offered)")
    }

    @Test func `upload I ds are those of pending uploads`() throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        #expect(try mule.run("completion", "ids").out == "")
        #expect(!Files.exists(mule.home.path + "/.local/state/mule/ledger.sqlite"))
        store.add(.on(.uploadPart, part: 2, times: 100, .status(403, code: "AccessDenied")))
        let file = try mule.file(parts: 3)
        #expect(try mule.uploadInParts(file).run().exitCode == 4)
        let ids = try mule.status().compactMap { $0["id"]?.text }
        #expect(ids.count == 1)
        #expect(try mule.run("completion", "ids").lines == ids)
    }
}
