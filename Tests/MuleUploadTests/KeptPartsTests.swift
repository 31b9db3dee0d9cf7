import Testing

@testable import MuleUpload

@Suite struct KeptPartsTests {
    @Test func `a stop says how much is kept`() {
        var kept = KeptParts()
        kept.add(bytes: 160 << 20, of: 500 << 20, parts: 20, of: 63)
        #expect(kept.sentence == "160.0 of 500.0 MiB are kept (20 of 63 parts)")
        kept.add(bytes: 0, of: 12 << 20, parts: 0, of: 0)
        #expect(kept.sentence == "160.0 of 512.0 MiB are kept (20 of 63 parts)")
        #expect(kept.uploads == 2)
        // A stream of unknown length.
        kept.add(bytes: 8 << 20, of: nil, parts: 1, of: nil)
        #expect(kept.sentence == "168.0 MiB are kept (21 parts)")
        var small = KeptParts()
        small.add(bytes: 0, of: 1 << 20, parts: 0, of: 0)
        #expect(small.sentence == "0.0 of 1.0 MiB are kept")
    }
}
