// A process of its own on a ledger, for tests that kill one, run two, or take away its rights. Each line it prints is
// true when it is printed.

import Glibc
import MuleLedger
import MulePlan

@main
struct LedgerChild {
    private static let usage = """
        usage: ledger-child open LEDGER             open it
               ledger-child hold LEDGER             hold a lease until standard input ends
               ledger-child commit LEDGER           commit one part after another
               ledger-child fill LEDGER BALLAST     commit parts until the disk is full, then remove BALLAST
               ledger-child reserve LEDGER          commit parts until there is no room for more, then 300 all the same
        with --as-nobody at the end: give up root's rights first
        """

    static func main() {
        var words = Array(CommandLine.arguments.dropFirst())
        if words.last == "--as-nobody" {
            words.removeLast()
            // After the program was loaded, so that only the ledger must be within reach of the user without rights.
            guard setgroups(0, nil) == 0, setgid(65_534) == 0, setuid(65_534) == 0 else {
                return end("cannot change the user", status: 2)
            }
        }
        guard words.count >= 2 else { return end(usage, status: 2) }
        do {
            let ledger = try Ledger(path: Array(words[1].utf8))
            switch words[0] {
            case "open": say("opened")
            case "hold": try hold(ledger)
            case "commit": try commit(ledger)
            case "fill" where words.count == 3: try fill(ledger, ballast: words[2])
            case "reserve": try reserve(ledger)
            default: end(usage, status: 2)
            }
        } catch {
            end("error: \(error)", status: 12)
        }
    }

    private static func hold(_ ledger: Ledger) throws(LedgerError) {
        let claim = try claimed(ledger)
        say(claim == nil ? "held elsewhere" : "holding")
        while claim != nil, readLine() != nil {}
        withExtendedLifetime(claim) {}
    }

    private static func commit(_ ledger: Ledger) throws(LedgerError) {
        guard let (record, lease) = try claimed(ledger) else { return say("held elsewhere") }
        for number in record.partsDone + 1...10_000 {
            try ledger.commit([part(number, of: record)])
            say("\(number)")
        }
        withExtendedLifetime(lease) {}
    }

    private static func fill(_ ledger: Ledger, ballast: String) throws(LedgerError) {
        guard let (record, lease) = try claimed(ledger) else { return say("held elsewhere") }
        var committed = 0
        do throws(LedgerError) {
            while true {
                try ledger.commit([part(committed + 1, of: record)])
                committed += 1
            }
        } catch {
            say("stopped: \(error)")
        }
        let rows = try ledger.parts(of: record.number).map(\.number)
        say("intact while full: \(rows == Array(1..<committed + 1))")
        unlink(ballast)
        try ledger.commit([part(committed + 1, of: record)])
        let again = try Ledger(path: ledger.path).parts(of: record.number).map(\.number)
        say("intact with room: \(again == Array(1...committed + 1)) committed: \(committed > 20)")
        withExtendedLifetime(lease) {}
    }

    private static func reserve(_ ledger: Ledger) throws(LedgerError) {
        guard let (record, lease) = try claimed(ledger) else { return say("held elsewhere") }
        var number = 0
        do throws(LedgerError) {
            while number < 9_000 {
                try ledger.makeRoom()
                number += 1
                try ledger.commit([part(number, of: record)])
            }
        } catch {
            say("no room: \(error)")
        }
        let before = number
        while number < before + 300 {
            number += 1
            try ledger.commit([part(number, of: record)])
        }
        let rows = try Ledger(path: ledger.path).parts(of: record.number).map(\.number)
        say("recorded all the same: \(rows == Array(1..<before + 301)) after: \(before)")
        withExtendedLifetime(lease) {}
    }

    private static func claimed(_ ledger: Ledger) throws(LedgerError) -> (UploadRecord, Lease)? {
        let partSize: Int64 = 8 << 20
        let upload = NewUpload(
            source: SourceIdentity(
                path: Array("/data/child".utf8),
                device: 1,
                inode: 2,
                size: partSize * 10_000,
                modificationTime: 3
            ),
            store: StoreAddress(
                endpoint: "http://127.0.0.1:9",
                region: "eu-central-1",
                addressing: "path",
                profile: nil,
                caBundle: nil
            ),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey("child")),
            attributes: ObjectAttributes(),
            onlyIfAbsent: false,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto"),
            partSize: partSize
        )
        return switch try ledger.claim([upload]).first {
        case .began(let record, let lease), .found(let record, let lease): (record, lease)
        case .heldElsewhere, .doneBefore, .taken, nil: nil
        }
    }

    private static func part(_ number: Int, of record: UploadRecord) -> Ledger.Entry {
        let part = PartRecord(number: number, size: 8 << 20, eTag: "e\(number)", crc: Array(1...8), digest: nil)
        return .part(Ledger.FinishedPart(upload: record.number, part: part, bytesSent: part.size))
    }

    /// One line in one write, past every buffer: what was said before a kill was said.
    private static func say(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }

    private static func end(_ line: String, status: Int32) {
        say(line)
        exit(status)
    }
}
