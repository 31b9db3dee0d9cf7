import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// The checks of the ledger, from its directory to its rows.
struct LedgerDoctor {
    let path: [UInt8]
    let report: (Finding) -> Void

    private var name: String { TextSafety.displayName(path) }

    /// Bytes of free space below which the disk counts as nearly full.
    private static let littleSpace: Int64 = 64 << 20

    func run() {
        let status: FileStatus
        do {
            status = try FileStatus.of(path: path)
        } catch {
            return error.code == ENOENT ? lookWhereItWouldBe() : report(unusable("ledger.file", LedgerError(error)))
        }
        checkModes(status)
        checkDisk(path)
        let ledger: Ledger
        do {
            ledger = try Ledger(path: path)
        } catch {
            return report(unusable("ledger.open", error))
        }
        look(into: ledger)
    }

    /// Without a ledger: whether one could be created.
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
                            "There is no ledger yet and it cannot be created: \(TextSafety.displayName(directory)) is "
                                + "not writable.",
                            cure: "Make it writable, or name another ledger with --ledger FILE."
                        )
                    )
                    return
                }
                report(.ok("ledger.file", "There is no ledger yet; the first upload creates \(name)."))
                return checkDisk(directory)
            }
            if slash == path.startIndex { break }
        }
        report(.problem("ledger.file", .ledger, "The directory of \(name) does not exist."))
    }

    private func checkModes(_ status: FileStatus) {
        let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? 0
        let directory = slash == 0 ? [UInt8(ascii: "/")] : Array(path[..<slash])
        if status.mode & 0o077 != 0 {
            report(
                .warning(
                    "ledger.modes",
                    "Other users may access \(name) (mode \(octal(status.mode))), which names your files and buckets.",
                    cure: "Restrict it: chmod 600 \(name)"
                )
            )
        } else if let above = try? FileStatus.of(path: directory), above.mode & 0o022 != 0, above.mode & 0o1000 == 0 {
            report(
                .warning(
                    "ledger.modes",
                    "Other users may replace the ledger: \(TextSafety.displayName(directory)) has mode "
                        + "\(octal(above.mode)).",
                    cure: "Restrict it: chmod go-w \(TextSafety.displayName(directory))"
                )
            )
        } else {
            report(.ok("ledger.modes", "Only its owner may access \(name) (mode \(octal(status.mode)))."))
        }
    }

    private func checkDisk(_ place: [UInt8]) {
        let disk: FileSystem
        do {
            disk = try FileSystem.of(path: place)
        } catch {
            return report(.warning("ledger.disk", "Cannot check the free space of its file system: \(error.reason)."))
        }
        let free = ByteSize.format(disk.available)
        if disk.available < Ledger.roomForRows {
            report(
                .problem(
                    "ledger.disk",
                    .ledger,
                    "Only \(free) free. mule uploads nothing without \(ByteSize.format(Ledger.roomForRows)) for its "
                        + "records.",
                    cure: "Free some space."
                )
            )
        } else if disk.isShared {
            report(
                .warning(
                    "ledger.disk",
                    "The ledger is on \(disk.name), which other machines may share. It uses a rollback journal, which "
                        + "works there if file locks do. \(free) free.",
                    cure: "A local disk is faster and safer."
                )
            )
        } else if disk.available < Self.littleSpace {
            report(
                .warning(
                    "ledger.disk",
                    "Only \(free) free. A run stops before it can no longer record its progress.",
                    cure: "Free some space."
                )
            )
        } else {
            report(.ok("ledger.disk", "\(free) free."))
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
            "\"mule doctor --export FILE\" saves what can still be read. Then move \(name) away, together with its "
            + "-wal, -shm and .leases files, and run \"mule doctor --import FILE\"."
        guard checkup.damage.isEmpty, checkup.missingObjects.isEmpty else {
            let what = checkup.damage + checkup.missingObjects.map { "\($0) is missing" }
            return report(
                .problem(
                    "ledger.integrity",
                    .ledger,
                    "\(name) is damaged: \(what.joined(separator: "\n"))",
                    cure: salvage
                )
            )
        }
        report(.ok("ledger.integrity", "No damage found (schema \(checkup.schemaVersion))."))
        checkRows(checkup)
        checkUploads(checkup)
    }

    private func checkRows(_ checkup: Ledger.Checkup) {
        var oddities: [String] = []
        if !checkup.foreignObjects.isEmpty {
            oddities.append(
                "It has tables or indexes that mule did not create: \(checkup.foreignObjects.joined(separator: ", "))."
            )
        }
        if checkup.strayParts > 0 {
            oddities.append("\(Wording.count(checkup.strayParts, "part row")) without an unfinished upload.")
        }
        if !checkup.miscounted.isEmpty {
            oddities.append(
                "The progress of \(checkup.miscounted.joined(separator: ", ")) differs from the recorded parts."
            )
        }
        if oddities.isEmpty {
            report(.ok("ledger.rows", "Uploads and parts are consistent."))
        } else {
            report(
                .warning(
                    "ledger.rows",
                    oddities.joined(separator: " ") + " This causes no wrong result and no repeated upload."
                )
            )
        }
    }

    private func checkUploads(_ checkup: Ledger.Checkup) {
        let known = UploadState.allCases.map(\.rawValue)
        let odd = checkup.states.keys.filter { !known.contains($0) }.sorted()
        let counts = (known + odd).compactMap { state in checkup.states[state].map { "\($0) \(state)" } }
        var text = counts.isEmpty ? "No uploads." : counts.joined(separator: ", ") + "."
        if checkup.active > 0 { text += " \(checkup.active) active in another mule process." }
        var isCalm = odd.isEmpty
        if checkup.toBeAborted > 0 {
            text +=
                " \(checkup.toBeAborted) with an abort pending: \"mule resume\" or \"mule clean\" removes the parts."
            isCalm = false
        }
        if let unknown = checkup.states[UploadState.unknown.rawValue], unknown > 0 {
            text += " Check whether the unknown uploads were completed: \"mule status\" says how."
            isCalm = false
        }
        report(isCalm ? .ok("ledger.uploads", text) : .warning("ledger.uploads", text))
    }

    private func unusable(_ check: String, _ error: LedgerError) -> Finding {
        .problem(check, .ledger, UploadFailure(ledger: error, path: name).message)
    }

    private func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
}
