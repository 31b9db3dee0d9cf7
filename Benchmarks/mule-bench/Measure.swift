import Glibc
import MuleSystem

/// A speed that is measured several times.
struct Measure {
    var name: String
    /// The unit of the result of `once`.
    var unit: String
    var once: () throws -> Double

    /// Repeats the body, which processes `amount` of the unit, for at least `seconds`; returns the amount per second.
    static func rate(_ amount: Double, during seconds: Double = 0.1, _ body: () throws -> Void) rethrows -> Double {
        let start = Moment.now()
        var count = 0.0
        while true {
            try body()
            count += 1
            let passed = Moment.now().seconds(since: start)
            if passed >= seconds { return count * amount / passed }
        }
    }
}

/// Runs all measures once per round, so that other load affects all of them equally, and prints medians.
struct Table {
    var measures: [Measure]
    var rounds: Int

    func run() throws {
        var values: [[Double]] = Array(repeating: [], count: measures.count)
        for _ in 0..<rounds {
            for (index, measure) in measures.enumerated() { values[index].append(try measure.once()) }
        }
        let width = measures.map(\.name.count).max() ?? 0
        print(padded("", width), "    median        least         most")
        for (measure, values) in zip(measures, values) {
            let sorted = values.sorted()
            let numbers = [sorted[sorted.count / 2], sorted.first ?? 0, sorted.last ?? 0]
            let columns = numbers.map { padded(Self.text($0), 12, left: true) }.joined(separator: " ")
            print(padded(measure.name, width), columns, measure.unit)
        }
    }

    private func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return left ? space + text : text + space
    }

    /// At least three significant digits: 0.85, 38.2, 12345.
    static func text(_ value: Double) -> String {
        let digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
        let scale = [1.0, 10.0, 100.0][digits]
        let whole = Int((value * scale).rounded())
        if digits == 0 { return String(whole) }
        let fraction = String(whole % Int(scale))
        return "\(whole / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
