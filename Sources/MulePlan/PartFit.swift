/// Whether the parts that a store lists for an upload can be those of one file, judging by numbers and sizes only.
package enum PartFit: Hashable, Sendable {
    /// The plans with parts of exactly these sizes. There are two if the only listed part may be the last one: then
    /// only its bytes can tell.
    case fits([PartPlan])
    /// Why there is no such plan, in words that continue "it".
    case misfit(String)

    /// - Parameter parts: in any order, each number once.
    package static func of(
        _ parts: [ListedPart],
        objectSize: Int64,
        limits: StoreLimits = .amazon
    ) -> PartFit {
        guard let last = parts.max(by: { $0.number < $1.number }), let largest = parts.map(\.size).max() else {
            return .misfit("has no parts")
        }
        guard objectSize > 0, largest <= objectSize else { return .misfit("has a part larger than the file") }
        guard let first = parts.map(\.number).min(), first > 0, largest > 0 else {
            return .misfit("has a part without bytes or number")
        }
        var sizes = [largest]
        // All parts but the last have the same size. If only the last is listed, its end determines the others' size.
        let before = objectSize - last.size
        if parts.count == 1, last.number > 1, before % Int64(last.number - 1) == 0,
            before / Int64(last.number - 1) > last.size
        {
            sizes.append(before / Int64(last.number - 1))
        }
        var reason = ""
        var plans: [PartPlan] = []
        for size in sizes {
            let plan = PartPlan(objectSize: objectSize, partSize: size)
            if let misfit = misfit(of: parts, in: plan, limits) {
                if reason.isEmpty { reason = misfit }
            } else {
                plans.append(plan)
            }
        }
        return plans.isEmpty ? .misfit(reason) : .fits(plans)
    }

    private static func misfit(of parts: [ListedPart], in plan: PartPlan, _ limits: StoreLimits) -> String? {
        guard plan.count <= limits.maximumPartCount else {
            return "has parts of \(ByteSize.format(plan.partSize)), of which the file would need \(plan.count)"
        }
        for part in parts.sorted(by: { $0.number < $1.number }) {
            guard part.number <= plan.count else {
                return "has part \(part.number), and the file has only \(plan.count) parts of "
                    + ByteSize.format(plan.partSize)
            }
            if part.size != plan.size(of: part.number) {
                return "has a part \(part.number) of \(part.size) bytes, which must be \(plan.size(of: part.number)) "
                    + "in parts of \(ByteSize.format(plan.partSize))"
            }
        }
        return nil
    }
}
