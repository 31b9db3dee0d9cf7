import MulePlan
import MuleS3
import MuleUpload

/// Whether the credentials may delete: then a stolen key could delete what was uploaded.
///
/// It asks for the deletion of an object that does not exist, in a way that leaves nothing behind (docs/decisions.md):
/// where the bucket has never kept versions there can be no delete marker, and at Amazon's a request for one version
/// leaves none. In all other cases nothing is asked.
struct DeletionCheck {
    let visit: BucketVisit
    let isAsked: Bool

    private static let check = "permissions.delete"

    func run() {
        if visit.isSignedElsewhere { return visit.report(.ok(Self.check, BucketVisit.notSigned)) }
        guard isAsked else {
            return visit.report(
                .ok(Self.check, "Not checked.", cure: "\"mule doctor \(visit.place)\" checks it.")
            )
        }
        do throws(S3Error) {
            switch try visit.connection.versioning(of: visit.bucket) {
            case .never: report(answerWithoutVersions, "objects", "Versioning lets you restore deleted objects.")
            case .enabled, .suspended:
                askForVersion(orSay: "the bucket keeps versions, and a request could leave a marker", isEnough: true)
            }
        } catch {
            let isDenied = error.status == 403 && error.retryClass != .credentials
            askForVersion(
                orSay: isDenied
                    ? "\(error.operation.permission) is not granted, and without it a request could leave a marker"
                    : "the store does not tell whether the bucket keeps versions, where a request could leave a marker",
                isEnough: false
            )
        }
    }

    /// With a condition first, which fails, so that the store notifies no program of a deletion.
    private var answerWithoutVersions: DeletionAnswer {
        let careful = visit.connection.deleteAbsent(visit.probe, ifExists: true)
        if case .permitted = careful { return careful }
        // A condition on an object that may not be read can be refused for that reason.
        return visit.connection.deleteAbsent(visit.probe, ifExists: false)
    }

    /// - Parameters:
    ///   - reason: why nothing else can be asked.
    ///   - isEnough: whether only versions matter, because the bucket keeps them.
    private func askForVersion(orSay reason: String, isEnough: Bool) {
        guard visit.service.endpoint.isAmazon else {
            return visit.report(.ok(Self.check, "Not checked: \(reason)."))
        }
        report(
            visit.connection.deleteAbsent(visit.probe, ifExists: false, version: "null"),
            "versions of objects",
            "Object Lock keeps them for a time.",
            unknown: isEnough ? "" : " Whether they may delete objects is not checked: \(reason)."
        )
    }

    /// - Parameters:
    ///   - remedy: what helps besides a policy.
    ///   - unknown: what a refusal does not answer.
    private func report(_ answer: DeletionAnswer, _ what: String, _ remedy: String, unknown: String = "") {
        switch answer {
        case .permitted:
            visit.report(
                .warning(
                    Self.check,
                    "These credentials may delete \(what), which mule never does: with a stolen key, uploads can be "
                        + "deleted.",
                    cure: "\"mule policy iam \(visit.place)\" prints a policy that forbids it. \(remedy)"
                )
            )
        case .refused:
            visit.report(.ok(Self.check, "These credentials may not delete \(what).\(unknown)"))
        case .unclear(let error):
            let failure = UploadFailure.refused(error, sending: visit.probe.description)
            visit.report(.warning(Self.check, "Not checked: \(failure.message)"))
        }
    }
}
