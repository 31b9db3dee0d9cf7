import MuleJSON
import MuleLedger
import MulePlan

/// `mule doctor`
struct DoctorCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let arguments = session.arguments
        if let file = arguments.export { return try LedgerExportImport(session: session).export(to: file) }
        if let file = arguments.importFrom { return try LedgerExportImport(session: session).importFrom(file) }
        let bucket = try bucket()
        let path = try session.ledgerPath()
        var first = ExitStatus.done
        let report: (Finding) -> Void = { finding in
            if finding.state == .problem, first == .done { first = finding.status }
            session.console.report(finding)
        }
        LedgerDoctor(path: path, report: report).run()
        if !arguments.ledgerAlone { StoreDoctor(session: session, bucket: bucket, report: report).run() }
        return first
    }

    private func bucket() throws(CommandFailure) -> String? {
        guard let operand = session.arguments.operands.first else { return nil }
        do {
            return try Destination(parsing: operand).bucket
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "\"\(TextSafety.displayName(operand))\" is not a bucket name."
            )
        }
    }
}
