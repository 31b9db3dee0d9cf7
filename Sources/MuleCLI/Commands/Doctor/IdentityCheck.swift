import MuleCredentials
import MuleS3
import MuleSigning

/// Whom the store takes the credentials for: by AWS's token service, or by what another store says.
struct IdentityCheck {
    let visit: BucketVisit
    let session: Session

    private static let check = "identity"

    func run() {
        guard let credentials = visit.settings.credentials, !visit.isSignedElsewhere else {
            return visit.report(.ok(Self.check, "Not known: the signer has the key."))
        }
        let endpoint = visit.service.endpoint(of: visit.bucket)
        do throws(CredentialsUnavailable) {
            guard let identity = try session.identity(of: credentials, visit.settings.plan, at: endpoint) else {
                return askStore()
            }
            report(identity)
        } catch {
            visit.report(.warning(Self.check, "Not known: \(error.reason)."))
        }
    }

    private func report(_ identity: CallerIdentity) {
        let text = TextSafety.displayText("\(identity.arn), account \(identity.account).")
        guard identity.arn.hasSuffix(":root") else { return visit.report(.ok(Self.check, text)) }
        visit.report(
            .warning(
                Self.check,
                text + " This is the root user, who may do everything in the account.",
                cure: "Use a user or a role with the policy that \"mule policy iam \(visit.place)\" prints."
            )
        )
    }

    private func askStore() {
        do throws(S3Error) {
            guard let owner = try visit.connection.owner() else {
                return visit.report(.ok(Self.check, "Not known: the store does not tell."))
            }
            visit.report(.ok(Self.check, "\(TextSafety.displayText(owner)), as ListBuckets says."))
        } catch {
            guard !error.isAboutUnknownSetting else {
                return visit.report(.ok(Self.check, "Not known: the store does not tell."))
            }
            visit.reportUnchecked(Self.check, error)
        }
    }
}
