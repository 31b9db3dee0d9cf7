import MulePlan
import Testing

@Suite("Source identity")
struct SourceIdentityTests {
    private let before = SourceIdentity(path: [0x2F], device: 1, inode: 2, size: 3, modificationTime: 4)

    @Test
    func `the same file has no changes`() {
        #expect(before.changes(since: before) == [])
    }

    @Test
    func `each fact that differs is named, size first`() {
        let now = SourceIdentity(path: [0x2F], device: 10, inode: 20, size: 30, modificationTime: 40)
        #expect(
            now.changes(since: before) == [
                .size(before: 3, now: 30), .modificationTime(before: 4, now: 40), .inode(before: 2, now: 20), .device,
            ]
        )
    }

    @Test(
        arguments: [
            (1_700_000_000_000_000_000, 1_700_000_000_000, true), (1_700_000_000_000_000_000, 1_700_000_001_999, true),
            (1_700_000_000_000_000_000, 1_700_000_002_000, false),
            (1_700_000_000_000_000_001, 1_700_000_000_000, false),
            (1_700_000_009_000_000_000, 1_700_000_000_000, true),
            (1_700_086_400_000_000_000, 1_700_000_000_000, true),
            (1_700_086_401_000_000_000, 1_700_000_000_000, false), (0, 1_700_000_000_000, false),
            (-1_000_000_000, 1_700_000_000_000, false),
        ] as [(Int64, Int64, Bool)]
    )
    func
        `a whole second within two before the look, or within a day after it, may hide a change, a fine time never does`(
            time: Int64,
            moment: Int64,
            hides: Bool
        )
    {
        var source = before
        source.modificationTime = time
        #expect(source.mayHideChanges(since: moment) == hides)
    }

    @Test
    func `a time that moved back is a change like any other`() {
        var now = before
        now.modificationTime = -1
        #expect(now.changes(since: before) == [.modificationTime(before: 4, now: -1)])
        #expect(now.verdict(since: before) == .changed([.modificationTime(before: 4, now: -1)]))
    }

    @Test
    func `a change time tells nothing that size and modification time tell already`() {
        var now = before
        now.changeTime = 9
        #expect(now.changes(since: before) == [.changeTime])
        now.size = 30
        #expect(now.changes(since: before) == [.size(before: 3, now: 30)])
    }

    @Test
    func
        `another inode, device or change time says that the content must be compared, and so does one that is unknown`()
    {
        var known = before
        known.changeTime = 9
        #expect(known.verdict(since: known) == .same)
        #expect(known.verdict(since: before) == .compare([.changeTime]))
        var now = known
        now.changeTime = 10
        #expect(now.verdict(since: known) == .compare([.changeTime]))
        (now.device, now.inode) = (10, 20)
        #expect(now.verdict(since: known) == .compare([.changeTime, .inode(before: 2, now: 20), .device]))
        now.size = 4
        #expect(now.verdict(since: known).isChanged)
    }

    @Test(
        arguments: [
            (900, true), (-3600, true), (86_400, true), (-86_400, true), (87_300, false), (901, false), (60, false),
        ] as [(Int64, Bool)]
    )
    func `a time that is off by whole quarters of an hour, a day at most, may be another zone's`(
        seconds: Int64,
        isCompared: Bool
    ) {
        var now = before
        now.modificationTime += seconds * 1_000_000_000
        let changes = [SourceChange.modificationTime(before: 4, now: now.modificationTime)]
        #expect(now.verdict(since: before) == (isCompared ? .compare(changes) : .changed(changes)))
        now.modificationTime += 1
        #expect(now.verdict(since: before).isChanged)
    }

    @Test
    func `times at both ends are no trap`() {
        var (first, last) = (before, before)
        (first.modificationTime, last.modificationTime) = (.min, .max)
        #expect(first.verdict(since: last).isChanged && last.verdict(since: first).isChanged)
    }

    @Test
    func `a fine change time shows what the modification time could hide, and a coarse one hides it`() {
        var file = before
        file.modificationTime = 1_700_000_000_000_000_000
        #expect(file.verdict(since: file, lookedAt: 1_700_000_001_000) == .compare([]))
        #expect(file.verdict(since: file) == .same)
        file.changeTime = 1_700_000_000_000_000_001
        #expect(file.verdict(since: file, lookedAt: 1_700_000_001_000) == .same)
        file.modificationTime = 1_600_000_000_000_000_000
        file.changeTime = 1_700_000_000_000_000_000
        #expect(file.verdict(since: file, lookedAt: 1_700_000_001_000) == .compare([]))
    }
}

@Suite("A changing source")
struct ChangingSourceTests {
    private static let grown = SourceChange.size(before: 3, now: 4)
    private static let shrunk = SourceChange.size(before: 3, now: 2)
    private static let touched = SourceChange.modificationTime(before: 4, now: 5)
    private static let replaced = SourceChange.inode(before: 1, now: 2)

    @Test
    func `another size or time is no change that is allowed; other facts tell nothing of the content`() {
        let changes = [Self.grown, Self.touched, Self.replaced, .device, .changeTime]
        #expect(ChangingSource.refuse.offences(in: changes) == [Self.grown, Self.touched])
        #expect(ChangingSource.refuse.offences(in: [Self.shrunk]) == [Self.shrunk])
    }

    @Test
    func `growth is allowed where the size first seen is wanted; truncation never is`() {
        #expect(ChangingSource.snapshotSize.offences(in: [Self.grown, Self.touched, .device, Self.replaced]) == [])
        #expect(ChangingSource.snapshotSize.offences(in: [Self.shrunk, Self.touched]) == [Self.shrunk])
    }

    @Test
    func `a file that has grown is compared`() {
        let before = SourceIdentity(path: [0x2F], device: 1, inode: 2, size: 25, modificationTime: 4)
        var now = before
        now.size = 40
        now.modificationTime = 5
        let changes = [SourceChange.size(before: 25, now: 40), .modificationTime(before: 4, now: 5)]
        #expect(now.verdict(since: before, changing: .snapshotSize) == .compare(changes))
        #expect(changes.allSatisfy(ChangingSource.snapshotSize.allows))
        #expect(!ChangingSource.snapshotSize.allows(Self.replaced))
    }
}

@Suite("Resume decision")
struct ResumeDecisionTests {
    /// Three parts of 10, 10 and 5 bytes.
    private let plan = PartPlan(objectSize: 25, partSize: 10)

    private func decide(
        recorded: [RecordedPart] = [],
        _ listing: Listing
    ) -> ResumeDecision {
        ResumeDecision.decide(
            plan: plan,
            recorded: recorded,
            listing: listing
        )
    }

    private func row(_ number: Int, _ eTag: String = "e", size: Int64? = nil) -> RecordedPart {
        RecordedPart(number: number, size: size ?? plan.size(of: number), eTag: eTag)
    }

    private func there(_ number: Int, _ eTag: String = "e", size: Int64? = nil, at time: Int64 = 0) -> ListedPart {
        ListedPart(number: number, size: size ?? plan.size(of: number), eTag: eTag, lastModified: time)
    }

    @Test
    func `for one part, row and list together decide`() {
        let rows: [RecordedPart?] = [nil, row(1), row(1, "other"), row(1, size: 9)]
        let lists: [ListedPart?] = [nil, there(1), there(1, size: 9)]
        let expected: [[PartAction]] = [
            // Nothing listed, listed in full, listed with another size.
            [.send, .verify, .send],
            [.send, .keep, .send],
            [.send, .verify, .send],
            [.send, .verify, .send],
        ]
        for (rowIndex, row) in rows.enumerated() {
            for (listIndex, listed) in lists.enumerated() {
                let decision = decide(recorded: [row].compactMap(\.self), .parts([listed].compactMap(\.self)))
                #expect(decision == .proceed([expected[rowIndex][listIndex], .send, .send]))
            }
        }
    }

    @Test
    func `after any prefix of finished parts, the rest is sent and no more`() {
        for done in 0...3 {
            let numbers = Array((1...3).prefix(done))
            let decision = decide(recorded: numbers.map { row($0) }, .parts(numbers.map { there($0) }))
            #expect(decision == .proceed((1...3).map { $0 <= done ? .keep : .send }))
        }
    }

    @Test
    func `rows and listed parts may come in any order`() {
        let decision = decide(
            recorded: [row(3, "c"), row(1, "a")],
            .parts([there(2, "b"), there(3, "c"), there(1, "a")])
        )
        #expect(decision == .proceed([.keep, .verify, .keep]))
    }

    @Test
    func `of a part listed twice the one modified last counts, whatever the order`() {
        let (old, new) = (there(1, "old", at: 1), there(1, "new", at: 2))
        for list in [[old, new], [new, old]] {
            #expect(decide(recorded: [row(1, "new")], .parts(list)) == .proceed([.keep, .send, .send]))
            #expect(decide(recorded: [row(1, "old")], .parts(list)) == .proceed([.verify, .send, .send]))
        }
    }

    @Test
    func `of a part listed twice without times the later entry counts`() {
        let decision = decide(recorded: [row(1, "b")], .parts([there(1, "a"), there(1, "b")]))
        #expect(decision == .proceed([.keep, .send, .send]))
    }

    @Test
    func `numbers outside the plan do no harm`() {
        let rows = [RecordedPart(number: 0, size: 10, eTag: "e"), RecordedPart(number: 4, size: 10, eTag: "e")]
        let list = [ListedPart(number: -1, size: 10, eTag: "e"), ListedPart(number: 10_001, size: 10, eTag: "e")]
        #expect(decide(recorded: rows, .parts(list)) == .proceed([.send, .send, .send]))
    }

    @Test
    func `without a list, committed rows stand for themselves`() {
        let decision = decide(recorded: [row(1), row(2, size: 9)], .unavailable)
        #expect(decision == .proceed([.keep, .send, .send]))
    }

    @Test
    func `an upload ID that is gone proves nothing: the object must be looked at`() {
        #expect(decide(recorded: [row(1), row(2), row(3)], .noSuchUpload) == .reconcile)
    }

    @Test
    func `the same ETag with another checksum is not the same part; without one on either side it is`() {
        for (recorded, listed, action) in [
            ("a", "a", PartAction.keep), ("a", "b", .verify), ("a", nil, .keep), (nil, "b", .keep),
        ] {
            let row = RecordedPart(number: 1, size: 10, eTag: "e", checksum: recorded)
            let part = ListedPart(number: 1, size: 10, eTag: "e", checksum: listed)
            #expect(decide(recorded: [row], .parts([part])) == .proceed([action, .send, .send]))
        }
    }
}
