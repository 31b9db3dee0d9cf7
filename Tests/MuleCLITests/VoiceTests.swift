import MuleUpload
import Testing

@testable import MuleCLI

@Suite struct VoiceTests {
    @Test func theLastWordsSayWhatIsKeptOfTheRunThatEnds() {
        let voice = Voice(environment: [:])
        #expect(voice.lastWords.contains("run the same command again"))
        var kept = KeptParts()
        kept.add(bytes: 40 << 20, of: 300 << 20, parts: 5, of: 38)
        voice.follow { [kept] in kept }
        #expect(voice.lastWords.contains("1 upload is unfinished: 40.0 of 300.0 MiB kept (5 of 38 parts)"))
        voice.follow(nil)
        #expect(!voice.lastWords.contains("300.0"))
    }
}
