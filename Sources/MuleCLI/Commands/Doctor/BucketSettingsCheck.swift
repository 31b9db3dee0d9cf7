import MulePlan
import MuleS3

/// What the bucket does by itself: whether it removes unfinished uploads, and whether it locks new objects.
struct BucketSettingsCheck {
    private let visit: BucketVisit

    /// Days after which a rule may abort an upload that is only interrupted, such as over a weekend.
    static let fewDays = 3

    init(_ visit: BucketVisit) { self.visit = visit }

    /// - Returns: whether new objects get a retention.
    func run() -> Bool {
        let reason =
            AccessPoint(bucket: visit.bucket) != nil
            ? "Not checked: it is a setting of the bucket behind the access point."
            : visit.isSignedElsewhere ? BucketVisit.notSigned : nil
        if let reason {
            for check in ["bucket.lifecycle", "bucket.object-lock"] { visit.report(.ok(check, reason)) }
            return false
        }
        checkLifecycle()
        return checkLock()
    }

    private func checkLifecycle() {
        let check = "bucket.lifecycle"
        do throws(S3Error) {
            visit.report(finding(try visit.connection.abortRules(of: visit.bucket)))
        } catch {
            guard error.isAboutUnknownSetting else { return visit.reportUnchecked(check, error) }
            visit.report(
                .warning(
                    check,
                    "This store has no lifecycle rules: unfinished uploads that no ledger knows stay there, and cost "
                        + "storage.",
                    cure: "\"mule clean --all-initiators --older-than 30d \(visit.bucket)\" removes them."
                )
            )
        }
    }

    /// What to say about the rules that abort unfinished uploads of keys with the prefix.
    private func finding(_ rules: [AbortRule]) -> Finding {
        let check = "bucket.lifecycle"
        let cure = "\"mule policy lifecycle \(visit.place)\" prints a rule that waits 7 days."
        let general = rules.filter { visit.prefix.utf8.starts(with: $0.prefix.utf8) }
        let narrow = rules.filter { !general.contains($0) && $0.prefix.utf8.starts(with: visit.prefix.utf8) }
        let below = visit.prefix.isEmpty ? "" : " below \(visit.place)"
        guard let shortest = (general + narrow).min(by: { $0.days < $1.days }) else {
            return .warning(
                check,
                "No lifecycle rule aborts unfinished uploads\(below): those that no ledger knows stay there, and cost "
                    + "storage.",
                cure: cure
            )
        }
        if shortest.days < Self.fewDays {
            return .warning(
                check,
                "\(Self.name(shortest)) aborts unfinished uploads after \(Self.days(shortest)): an upload that is "
                    + "interrupted for longer starts again.",
                cure: cure
            )
        }
        guard let rule = general.min(by: { $0.days < $1.days }) else {
            let prefixes = Set(narrow.map { TextSafety.displayText("\"\($0.prefix)\"") }).sorted()
            return .warning(
                check,
                "Unfinished uploads are aborted only where keys start with \(prefixes.joined(separator: ", ")).",
                cure: cure
            )
        }
        return .ok(check, "\(Self.name(rule)) aborts unfinished uploads after \(Self.days(rule)).")
    }

    private static func name(_ rule: AbortRule) -> String {
        rule.id.map { "The rule \"\(TextSafety.displayText($0))\"" } ?? "A rule"
    }

    private static func days(_ rule: AbortRule) -> String { rule.days == 1 ? "1 day" : "\(rule.days) days" }

    private func checkLock() -> Bool {
        let check = "bucket.object-lock"
        do throws(S3Error) {
            guard let retention = try visit.connection.defaultRetention(of: visit.bucket) else {
                visit.report(.ok(check, "New objects are not locked by default."))
                return false
            }
            visit.report(
                .ok(
                    check,
                    TextSafety.displayText(
                        "New objects are locked for \(retention.period) (\(retention.mode)). Parts need a checksum or "
                            + "Content-MD5 there, which mule sends."
                    )
                )
            )
            return true
        } catch {
            if error.isAboutUnknownSetting {
                visit.report(.ok(check, "This store has no Object Lock."))
            } else {
                visit.reportUnchecked(check, error)
            }
            return false
        }
    }
}
