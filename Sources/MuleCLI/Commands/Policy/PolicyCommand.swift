import MuleJSON
import MulePlan
import MuleS3

/// `mule policy`
struct PolicyCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let operands = session.arguments.operands
        let options = session.arguments.policy
        guard let kind = PolicyKind(rawValue: TextSafety.displayName(operands[0])),
            let place = try session.places([operands[1]]).first
        else { fatalError("the parser asks for them") }
        if [.lifecycle, .cors].contains(kind), AccessPoint(bucket: place.bucket) != nil {
            throw CommandFailure(
                status: .usage,
                message: "Rules of the kind \(kind.rawValue) belong to buckets, not to access points: name the bucket."
            )
        }
        let region = try session.plan(forBucket: place.bucket).endpoint.region
        let document = PolicyDocument(
            bucket: place.bucket,
            prefix: place.key.string,
            partition: AWSPartition(region: region).name
        )
        let json: JSONValue
        switch kind {
        case .iam: json = document.permissions(options.purpose ?? .upload)
        case .bucket:
            let missing = "arn:\(document.partition):iam::ACCOUNT:\(PolicyDocument.missingPrincipal)"
            if options.principal == nil {
                session.console.notice(
                    "\(missing) is no principal: add --principal with the ARN of the user or role that may upload."
                )
            }
            json = document.permissions(options.purpose ?? .upload, principal: options.principal ?? missing)
        case .lifecycle: json = document.lifecycle
        case .cors: json = PolicyDocument.cors(origin: options.origin ?? "")
        }
        session.console.result(session.console.isJSON ? json.line : json.indented)
        return .done
    }
}
