import MuleCLI
import Testing

@Suite("Help")
struct HelpTests {
    @Test(arguments: Command.allCases)
    func `every page names every option, exit status and example that it should`(command: Command) {
        let page = Help.page(for: command)
        for flag in FlagTable.rows(for: command) { #expect(page.contains("--" + flag.name)) }
        for flag in FlagTable.rows where !flag.commands.contains(command) {
            let isShared = FlagTable.rows(for: command).contains { $0.name == flag.name || $0.negation == flag.name }
            #expect(isShared || !page.contains("      --" + flag.name + " "))
        }
        for status in ExitStatus.allCases { #expect(page.contains(" \(status.rawValue)  ")) }
        #expect((3...6).contains(command.page.examples.count))
        for example in command.page.examples { #expect(page.contains("\n    " + example.line + "\n")) }
        #expect(page.contains("AWS_SECRET_ACCESS_KEY"))
    }

    @Test
    func `the overview names every command and every exit status`() {
        let page = Help.overview()
        for command in Command.allCases { #expect(page.contains("  " + command.rawValue + " ")) }
        for status in ExitStatus.allCases { #expect(page.contains(" \(status.rawValue)  ")) }
    }

    @Test(arguments: [0, 60, 61, 72, 80, 100, 110, 500])
    func `text wraps to the width, at 60 columns at the least`(width: Int) {
        let limit = min(max(width, 60), 110)
        for page in [Help.overview(width: width)] + Command.allCases.map({ Help.page(for: $0, width: width) }) {
            let isExample = { (line: Substring) in
                Command.allCases.flatMap(\.page.examples).contains { "    " + $0.line == line }
            }
            for line in page.split(separator: "\n") where !isExample(line) {
                #expect(line.utf8.count <= limit, "\(line)")
                #expect(line.last != " ")
            }
            #expect(page.utf8.allSatisfy { $0 == 0x0A || (0x20..<0x7F).contains($0) })
            #expect(!page.contains("\n\n\n"))
        }
    }

    @Test
    func `the exit statuses are the published ones`() {
        #expect(ExitStatus.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 75, 129, 130, 143])
        for status in ExitStatus.allCases {
            #expect(status.isResumable == status.meaning.hasSuffix("resumable") || status == .interrupted)
        }
        for status in ExitStatus.allCases where status.isResumable { #expect(status.worthRetrying == "yes") }
    }

    @Test(arguments: Command.allCases)
    func `every example in help is a line that the parser takes`(command: Command) throws {
        for example in command.page.examples {
            let stages = example.line.split(separator: " | ")
            let lines = stages.compactMap { $0.firstMatch(of: /(^|<\()(mule [^)>]*)/)?.output.2 }
            let line = try #require(lines.first)
            let words = line.split(separator: " ").dropFirst().map { Array($0.utf8) }
            #expect(try CommandLineParser.parse(Array(words)).command != nil)
        }
    }
}
