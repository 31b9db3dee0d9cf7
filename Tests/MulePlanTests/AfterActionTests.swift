import MulePlan
import Testing

@Suite("What becomes of a file when it is proven")
struct AfterActionTests {
    @Test(
        arguments: [
            ("keep", AfterAction.keep), ("delete", .delete), ("move:/done", .move(Array("/done".utf8))),
            ("move:/done//", .move(Array("/done".utf8))), ("move:~/a:b", .move(Array("~/a:b".utf8))),
            ("delete-after:7d", .deleteAfter(604_800)), ("delete-after:0", .deleteAfter(0)),
            ("delete-after:1h30m", .deleteAfter(5400)), ("delete-after:500ms", .deleteAfter(0.5)),
        ] as [(String, AfterAction)]
    )
    func `what is written is read, and reads back`(text: String, action: AfterAction) throws {
        #expect(try AfterAction(parsing: Array(text.utf8)) == action)
        #expect(try AfterAction(parsing: Array(action.description.utf8)) == action)
    }

    @Test(arguments: [
        ("", "not one of"), ("Keep", "not one of"), ("keep:", "not one of"), ("delete:now", "not one of"),
        ("remove", "not one of"), ("move", "not one of"), ("move:", "no directory"), ("move:/", "no directory"),
        ("move:~/", "no directory"), ("move:a/b", "relative"), ("move:~", "relative"),
        ("move:/a\0b", "no directory"),
        ("delete-after:", "a delay that is not a duration"), ("delete-after:7x", "a delay that is not a duration"),
        ("delete-after:-1s", "a delay that is not"), ("delete-after:11y", "a delay that is not"),
    ]
    )
    func `anything else is refused with a reason`(text: String, part: String) {
        let error = #expect(throws: AfterAction.ParseError.self) { try AfterAction(parsing: Array(text.utf8)) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }
}
