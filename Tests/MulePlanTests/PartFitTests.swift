import MulePlan
import TestSupport
import Testing

@Suite("Part fit")
struct PartFitTests {
    private func listed(_ plan: PartPlan, _ numbers: some Sequence<Int>) -> [ListedPart] {
        numbers.map { ListedPart(number: $0, size: plan.size(of: $0), eTag: "") }
    }

    @Test
    func `any parts of any small plan lead back to it`() {
        for objectSize in Int64(1)...9 {
            for partSize in Int64(1)...objectSize {
                let plan = PartPlan(objectSize: objectSize, partSize: partSize)
                for mask in 1..<(1 << plan.count) {
                    let parts = listed(plan, (1...plan.count).filter { mask >> ($0 - 1) & 1 == 1 })
                    guard case .fits(let plans) = PartFit.of(parts.shuffled(), objectSize: objectSize) else {
                        Issue.record("\(parts) of \(plan)")
                        continue
                    }
                    // The last part alone may be cut in two ways; all that are named have parts of just these sizes.
                    let isWhole = parts.contains { $0.number < plan.count } || plan.count == 1
                    #expect(isWhole ? plans.contains(plan) : !plans.isEmpty)
                    for found in plans {
                        #expect(parts.allSatisfy { $0.number <= found.count && $0.size == found.size(of: $0.number) })
                    }
                    #expect(Set(plans).count == plans.count)
                }
            }
        }
    }

    @Test
    func `the end alone gives the others' size away`() {
        let parts = [ListedPart(number: 4, size: 3, eTag: "")]
        #expect(
            PartFit.of(parts, objectSize: 33)
                == .fits([PartPlan(objectSize: 33, partSize: 3), PartPlan(objectSize: 33, partSize: 10)])
        )
    }

    @Test
    func `a part that does not fit is named`() {
        func reason(_ sizes: [Int: Int64], of objectSize: Int64) -> String {
            let parts = sizes.map { ListedPart(number: $0.key, size: $0.value, eTag: "") }
            guard case .misfit(let reason) = PartFit.of(parts, objectSize: objectSize) else { return "" }
            return reason
        }
        #expect(reason([:], of: 10) == "has no parts")
        #expect(reason([1: 4, 2: 3, 3: 3], of: 10).hasPrefix("has a part 2 of 3 bytes, which must be 4"))
        #expect(reason([1: 4, 3: 1], of: 10).hasPrefix("has a part 3 of 1 bytes, which must be 2"))
        #expect(reason([1: 4, 4: 4], of: 10).hasPrefix("has part 4, and the file has only 3 parts"))
        #expect(reason([1: 11], of: 10) == "has a part larger than the file")
        #expect(reason([1: 1], of: 10_001).contains("of which the file would need 10001"))
        #expect(reason([0: 4], of: 10) == "has a part without bytes or number")
        #expect(reason([1: 0], of: 10) == "has a part without bytes or number")
    }
}
