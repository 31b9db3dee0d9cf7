import FuzzTargets
import TestSupport
import Testing

/// What the fuzzer has found worth keeping (Tests/Fuzz/corpus), against the promises of today.
@Suite("Fuzz corpus")
struct CorpusTests {
    private static let corpus = "\(#filePath)".replacing(
        "/Tests/FuzzTests/CorpusTests.swift",
        with: "/Tests/Fuzz/corpus"
    )

    @Test(arguments: FuzzTarget.all.map(\.name))
    func `no promise is broken by the corpus`(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let files = try Files.names(in: "\(Self.corpus)/\(name)")
        #expect(!files.isEmpty)
        for file in files {
            let broken = target.check(try Files.read("\(Self.corpus)/\(name)/\(file)"))
            #expect(broken == nil, "\(name)/\(file): \(broken ?? "")")
        }
    }

    @Test(arguments: FuzzTarget.all.map(\.name))
    func `no promise is broken by the corpus with a few bytes changed`(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        var random = SeededRandom(seed: 1)
        for file in try Files.names(in: "\(Self.corpus)/\(name)") {
            var bytes = try Files.read("\(Self.corpus)/\(name)/\(file)")
            guard !bytes.isEmpty else { continue }
            for _ in 1...3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let broken = target.check(bytes)
            #expect(broken == nil, "\(name)/\(file): \(broken ?? ""): \(bytes)")
        }
    }
}
