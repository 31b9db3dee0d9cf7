import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// The checks of the ledger, from the directory to the last row.
struct LedgerDoctor {
    let path: [UInt8]
    let report: (Finding) -> Void

    private var name: String { TextSafety.displayName(path) }

    /// Free space below which a disk is said to be nearly full.
    private static let littleSpace: Int64 = 64 << 20

    func run() {
        let status: FileStatus
        do {
            status = try FileStatus.of(path: path)
        } catch {
            return error.code == ENOENT ? lookWhereItWouldBe() : report(unusable("ledger.file", LedgerError(error)))
        }
        lookAtModes(status)
        lookAtDisk(path)
        let ledger: Ledger
        do {
            ledger = try Ledger(path: path)
        } catch {
            return report(unusable("ledger.open", error))
        }
        look(into: ledger)
    }

    /// There is none yet: could there be one?
    private func lookWhereItWouldBe() {
        var place = path[...]
        while let slash = place.lastIndex(of: UInt8(ascii: "/")) {
            place = slash == place.startIndex ? place[...slash] : place[..<slash]
            let directory = Array(place)
            if (try? FileStatus.of(path: directory)) != nil {
                let text = directory.map { CChar(bitPattern: $0) } + [0]
                guard access(text, W_OK | X_OK) == 0 else {
                    report(
                        .problem(
                            "ledger.file",
                            .ledger,
                            "There is no ledger, and it can't be made: \(TextSafety.displayName(directory)) may not be "
                                + "written. Make it writable, or name another ledger with --ledger FILE."
                        )
                    )
                    return
                }
                report(.ok("ledger.file", "There is no ledger yet; the first upload makes \(name)."))
                return lookAtDisk(directory)
            }
            if slash == path.startIndex { break }
        }
        report(.problem("ledger.file", .ledger, "There is no directory for \(name)."))
    }

    private func lookAtModes(_ status: FileStatus) {
        let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? 0
        let directory = slash == 0 ? [UInt8(ascii: "/")] : Array(path[..<slash])
        if status.mode & 0o077 != 0 {
            report(
                .warning(
                    "ledger.modes",
                    "Others on this machine may read \(name), or write to it (mode \(octal(status.mode))). It names your "
                        + "files and buckets: chmod 600 keeps it yours."
                )
            )
        } else if let above = try? FileStatus.of(path: directory), above.mode & 0o022 != 0, above.mode & 0o1000 == 0 {
            report(
                .warning(
                    "ledger.modes",
                    "Others may put another file in the place of the ledger: \(TextSafety.displayName(directory)) has the "
                        + "mode \(octal(above.mode)). chmod go-w keeps it yours."
                )
            )
        } else {
            report(.ok("ledger.modes", "\(name) is its owner's alone (mode \(octal(status.mode)))."))
        }
    }

    private func lookAtDisk(_ place: [UInt8]) {
        let disk: FileSystem
        do {
            disk = try FileSystem.of(path: place)
        } catch {
            return report(.warning("ledger.disk", "Its file system can't be looked at: \(error.reason)."))
        }
        let free = ByteSize.format(disk.available)
        if disk.available < Ledger.roomForRows {
            report(
                .problem(
                    "ledger.disk",
                    .ledger,
                    "\(free) are free; mule sends nothing without \(ByteSize.format(Ledger.roomForRows)) to record it in. "
                        + "Free some space."
                )
            )
        } else if disk.isShared {
            report(
                .warning(
                    "ledger.disk",
                    "The ledger lies on \(disk.name), which other machines may use too. It is kept in a way that works there "
                        + "(a rollback journal) as long as locks do; a local disk is faster and surer. \(free) are free."
                )
            )
        } else if disk.available < Self.littleSpace {
            report(.warning("ledger.disk", "Only \(free) are free. A run stops before it can't record what it sends."))
        } else {
            report(.ok("ledger.disk", "\(free) are free."))
        }
    }

    private func look(into ledger: Ledger) {
        let checkup: Ledger.Checkup
        do {
            checkup = try ledger.checkup()
        } catch {
            return report(unusable("ledger.integrity", error))
        }
        let salvage =
            "\"mule doctor --export FILE\" writes down what can still be read. Then move \(name) aside, with what "
            + "has its name and -wal, -shm or .leases behind it, and take it in again with \"mule doctor --import FILE\"."
        guard checkup.damage.isEmpty, checkup.missingObjects.isEmpty else {
            let what = checkup.damage + checkup.missingObjects.map { "\($0) is missing" }
            return report(
                .problem("ledger.integrity", .ledger, "\(name) is damaged: \(what.joined(separator: "\n"))\n\(salvage)")
            )
        }
        report(.ok("ledger.integrity", "Every page is sound (schema \(checkup.schemaVersion))."))
        lookAtRows(checkup)
        lookAtUploads(checkup)
    }

    private func lookAtRows(_ checkup: Ledger.Checkup) {
        var oddities: [String] = []
        if !checkup.foreignObjects.isEmpty {
            oddities.append("It holds what mule did not make: \(checkup.foreignObjects.joined(separator: ", ")).")
        }
        if checkup.strayParts > 0 {
            oddities.append("\(checkup.strayParts) rows of parts belong to no unfinished upload.")
        }
        if !checkup.miscounted.isEmpty {
            oddities.append(
                "The progress of \(checkup.miscounted.joined(separator: ", ")) is not that of the parts on record."
            )
        }
        if oddities.isEmpty {
            report(.ok("ledger.rows", "Uploads and parts agree."))
        } else {
            report(
                .warning(
                    "ledger.rows",
                    oddities.joined(separator: " ") + " Nothing is sent twice or taken for done because of it."
                )
            )
        }
    }

    private func lookAtUploads(_ checkup: Ledger.Checkup) {
        let known = UploadState.allCases.map(\.rawValue)
        let odd = checkup.states.keys.filter { !known.contains($0) }.sorted()
        let counts = (known + odd).compactMap { state in checkup.states[state].map { "\($0) \(state)" } }
        var text = counts.isEmpty ? "It holds no uploads." : counts.joined(separator: ", ") + "."
        if checkup.active > 0 { text += " A running mule carries \(checkup.active) of them." }
        var isCalm = odd.isEmpty
        if checkup.toBeAborted > 0 {
            text +=
                " \(checkup.toBeAborted) are to be given up and the store has not confirmed it: run \"mule resume\"."
            isCalm = false
        }
        if let unknown = checkup.states[UploadState.unknown.rawValue], unknown > 0 {
            text += " What became of those that are unknown is to be checked: \"mule status\" says how."
            isCalm = false
        }
        report(isCalm ? .ok("ledger.uploads", text) : .warning("ledger.uploads", text))
    }

    private func unusable(_ check: String, _ error: LedgerError) -> Finding {
        .problem(check, .ledger, UploadFailure(ledger: error, path: name).message)
    }

    private func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
}
