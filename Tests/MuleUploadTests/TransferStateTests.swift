import MuleSystem
import Testing

@testable import MuleUpload

@Suite("State of one upload in a run")
struct TransferStateTests {
    private static func failure(needsReconciling: Bool = false) -> UploadFailure {
        var failure = UploadFailure(.store, "refused")
        failure.needsReconciling = needsReconciling
        return failure
    }

    private static func conclusion(of state: inout TransferState, isStopping: Bool = false) -> String? {
        switch state.conclude(isStopping: isStopping) {
        case .failed(let failure): "failed: \(failure.kind)"
        case .reconcile: "look again"
        case nil: nil
        }
    }

    @Test func `Complete is due once, whichever of kept parts, recorded parts and a stream's end comes last`() {
        // Each order of: one part is kept, one is recorded, the stream ends with two parts.
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            var state = TransferState(size: nil)
            var due: [Int] = []
            for (place, step) in order.enumerated() {
                let isWhole =
                    switch step {
                    case 0: state.addRecorded(parts: 1)
                    case 1: state.recordPart()
                    default: state.endStream(size: 10, partCount: 2).isWhole
                    }
                if isWhole { due.append(place) }
            }
            #expect(due == [2], "order \(order)")
        }
    }

    @Test func `nothing kept does not complete an upload a second time`() {
        var state = TransferState(size: nil)
        _ = state.endStream(size: 10, partCount: 1)
        let answers = [state.recordPart(), state.addRecorded(parts: 0)]
        #expect(answers == [true, false])
    }

    @Test func `the first failure is concluded when the last thread has left`() {
        var state = TransferState(size: 1)
        state.startWork()
        state.startWork()
        state.fail(Self.failure())
        state.fail(UploadFailure(.network, "later"))
        state.endWork()
        let early = Self.conclusion(of: &state)
        state.endWork()
        let last = Self.conclusion(of: &state)
        // Another thread that leaves at the same time reports nothing.
        let again = Self.conclusion(of: &state)
        #expect([early, last, again] == [nil, "failed: store", nil])
        #expect(state.phase == .failed)
    }

    @Test func `one more look in a run, and none in a run that stops`() {
        var state = TransferState(size: 1)
        state.fail(Self.failure(needsReconciling: true))
        let first = Self.conclusion(of: &state)
        #expect(!state.hasEnded && state.failure == nil && state.hasLookedAgain)
        state.fail(Self.failure(needsReconciling: true))
        let second = Self.conclusion(of: &state)
        #expect([first, second] == ["look again", "failed: store"])

        var stopping = TransferState(size: 1)
        stopping.fail(Self.failure(needsReconciling: true))
        let only = Self.conclusion(of: &stopping, isStopping: true)
        #expect(only == "failed: store")
    }

    @Test func `what has ended stays as it is`() {
        var state = TransferState(size: 1)
        state.enter(.completing)
        state.complete()
        state.enter(.sending)
        state.fail(Self.failure())
        let conclusion = Self.conclusion(of: &state)
        #expect(state.phase == .done && state.failure == nil && conclusion == nil)
    }

    @Test func `a stream that outgrows its expected size has an unknown one until it ends`() {
        var state = TransferState(size: 100)
        let outgrown = [100, 101, 102].map { state.outgrow($0) }
        #expect(outgrown == [nil, 100, nil])
        #expect(state.size == nil)
        let expected = state.endStream(size: 120)
        #expect(expected == nil && state.size == 120)
    }

    @Test func `a checksum mode that has not changed is not written again`() {
        var state = TransferState(size: 1)
        let isWritten = [ChecksumMode.none, .md5, .md5].map { state.setChecksumMode($0) != nil }
        #expect(isWritten == [false, true, false])
    }

    @Test func `the first conflict of an upload is told from the next`() {
        var state = TransferState(size: 1)
        let isFirst = (0..<2).map { _ in state.meetConflict() }
        #expect(isFirst == [true, false])
    }
}
