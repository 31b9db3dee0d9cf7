import MuleJSON
import Testing

@testable import MuleCLI

@Suite struct FindingTests {
    private let finding = Finding.warning(
        "permissions.write",
        "Not checked. \"mule doctor --write backups\" starts an upload there and aborts it.\nSecond line."
    )

    @Test func `lines are broken at blanks below the message`() {
        let lines = finding.text(width: 80, hasColors: false).split(separator: "\n")
        #expect(lines.count == 3 && lines.allSatisfy { $0.count <= 80 }, "\(lines)")
        #expect(lines[0].hasPrefix("warning  permissions.write   Not checked. \"mule doctor"))
        let margin = String(repeating: " ", count: 29)
        #expect(lines.dropFirst().allSatisfy { $0.hasPrefix(margin) && $0.dropFirst(29).first != " " })
        #expect(lines[2] == margin + "Second line.")
    }

    @Test func `elsewhere a line is as long as its text`() {
        let lines = finding.text(width: nil, hasColors: false).split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasSuffix("and aborts it."))
    }

    @Test func `a cure is on a line of its own, and a key of its own`() {
        let finding = Finding.warning("clock", "It is late.", cure: "Set it.")
        #expect(
            finding.text(width: nil, hasColors: false).split(separator: "\n").map { $0.drop { $0 == " " } } == [
                "warning  clock               It is late.", "Set it.",
            ]
        )
        #expect(finding.json.line == #"{"check":"clock","cure":"Set it.","message":"It is late.","state":"warning"}"#)
    }

    @Test func `only the state is colored`() {
        let plain = finding.text(width: 80, hasColors: false)
        let colored = finding.text(width: 80, hasColors: true)
        #expect(colored == "\u{1B}[33mwarning\u{1B}[0m" + plain.dropFirst("warning".count))
    }
}
