import Glibc
import MuleCLI
import TestSupport
import Testing

/// `make reference` writes the committed pages from the program's tables.
@Suite("Reference pages")
struct ReferenceTests {
    enum Page: String, CaseIterable {
        case man = "docs/man/mule.1"
        case configurationMan = "docs/man/mule-config.5"
        case commands = "docs/reference/commands.md"
        case configuration = "docs/reference/configuration.md"

        func generated() throws -> String {
            switch self {
            case .man, .configurationMan:
                ReferencePages.manPage(template: try Repository.text(of: rawValue + ".in"))
            case .commands: ReferencePages.commands
            case .configuration: ReferencePages.configuration
            }
        }
    }

    @Test(arguments: Page.allCases)
    func `the committed page is the one that the tables give`(page: Page) throws {
        let text = try page.generated()
        if getenv("MULE_WRITE_REFERENCE") != nil {
            let file = try #require(fopen("\(Repository.root)/\(page.rawValue)", "w"))
            defer { fclose(file) }
            #expect(fputs(text, file) >= 0)
        } else {
            #expect(try Repository.text(of: page.rawValue) == text, "run make reference")
        }
    }

    @Test
    func `the man page and the reference have every option, status, variable and example`() throws {
        let man = try Page.man.generated()
        let markdown = try Page.commands.generated()
        for flag in FlagTable.rows {
            #expect(man.contains("\\fB\(Roff.escaped("--" + flag.name))\\fR"), "\(flag.name)")
            #expect(markdown.contains("--\(flag.name)"))
        }
        for status in ExitStatus.allCases {
            #expect(man.contains("\n\\fB\(status.rawValue)\\fR\n"))
            #expect(markdown.contains("\n- `\(status.rawValue)`: "))
        }
        for name in EnvironmentVariable.table.flatMap(\.names) {
            #expect(man.contains(name))
            #expect(markdown.contains(name))
        }
        for example in Command.allCases.flatMap(\.page.examples) {
            #expect(man.contains("\n" + Roff.escaped(example.line) + "\n"))
            #expect(markdown.contains("\n    \(example.line)\n"))
        }
    }

    @Test
    func `every key of the configuration is explained in the man page and in the reference`() throws {
        let man = try Page.configurationMan.generated()
        let markdown = try Page.configuration.generated()
        for section in ConfigurationReference.sections {
            for key in section.keys {
                #expect(!key.about.isEmpty, "\(section.title): \(key.name)")
                #expect(man.contains("\n\\fB\(key.name)\\fR\n"))
                #expect(markdown.contains("\n- `\(key.name)`: "))
            }
        }
    }

    @Test(
        arguments: Command.allCases
    )
    func `the options that -h shows are options of the command, and the page fits 24 lines of 80`(command: Command) {
        let names = Set(FlagTable.rows(for: command).map(\.name))
        for (name, _) in command.page.common { #expect(names.contains(name), "\(name)") }
        let lines = Help.brief(for: command).split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count <= 24)
        for line in lines where !line.hasPrefix("  mule ") { #expect(line.utf8.count <= 80, "\(line)") }
    }

    @Test(
        .enabled(if: Files.exists("/usr/bin/mandoc") && Files.exists("/usr/bin/groff")),
        arguments: [Page.man, .configurationMan]
    )
    func `mandoc and groff have nothing to say against the man pages`(page: Page) throws {
        let home = ScratchDirectory()
        // mandoc reads the section from the file's name.
        let file = try home.write(try page.generated(), to: "page." + page.rawValue.suffix(1))
        for tool in [["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"]] {
            let outcome = try TestCommand("/usr/bin/\(tool[0])", tool.dropFirst() + [file], home: home.path).run()
            #expect(outcome.out + outcome.err == "", "\(tool[0])")
        }
    }
}
