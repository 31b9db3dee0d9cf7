import MulePlan
import Testing

@Suite("Near misses")
struct SuggestionTests {
    @Test(arguments: [
        ("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "acb", 1),
        ("abc", "bc", 1), ("abc", "xabc", 1), ("ca", "abc", 3), ("kitten", "sitting", 3),
    ]
    )
    func `distance counts inserts, deletes, replacements and swaps`(first: String, second: String, edits: Int) {
        #expect(Suggestion.distance(first, second) == edits)
        #expect(Suggestion.distance(second, first) == edits)
    }

    @Test
    func `distance is 0 only for equals and keeps the triangle, for all short words over two letters`() {
        var words = [""]
        for length in 1...3 {
            words += words.filter { $0.utf8.count == length - 1 }.flatMap { [$0 + "a", $0 + "b"] }
        }
        for a in words {
            for b in words {
                #expect((Suggestion.distance(a, b) == 0) == (a == b))
                #expect(Suggestion.distance(a, b) <= max(a.utf8.count, b.utf8.count))
                #expect(Suggestion.distance(a, b) >= abs(a.utf8.count - b.utf8.count))
            }
        }
    }

    @Test(
        arguments: [
            ("stauts", "status"), ("STATUS", "status"), ("stat", "status"), ("resum", "resume"), ("aborted", "abort"),
            ("xyzzy", nil), ("", nil), ("a", nil), ("st", "status"),
        ] as [(String, String?)]
    )
    func `the nearest word is suggested when it is near`(word: String, expected: String?) {
        #expect(Suggestion.nearest(of: word, in: ["upload", "resume", "status", "abort"]) == expected)
    }
}
