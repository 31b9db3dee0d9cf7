import MuleUpload
import Testing

@testable import MuleCLI

@Suite struct DiagnosticsTests {
    @Test func `the last words say what is kept of the run that ends`() {
        let diagnostics = Diagnostics(environment: [:])
        #expect(diagnostics.lastWords.contains("Run the same command to continue"))
        var kept = KeptParts()
        kept.add(bytes: 40 << 20, of: 300 << 20, parts: 5, of: 38, id: "k3v9p")
        diagnostics.follow { [kept] in UnfinishedUploads(of: kept, resumption: .resume).stopped }
        #expect(
            diagnostics.lastWords
                == "Stopped. 40.0 of 300.0 MiB are kept (5 of 38 parts). Resume with: mule resume k3v9p"
        )
        diagnostics.follow(nil)
        #expect(!diagnostics.lastWords.contains("300.0"))
    }

    @Test func `a stopped run says how to resume it`() {
        var kept = KeptParts()
        kept.add(bytes: 40 << 20, of: 300 << 20, parts: 5, of: 38, id: "k3v9p")
        #expect(
            UnfinishedUploads(of: kept, resumption: .stream).stopped
                == "Stopped. 40.0 of 300.0 MiB are kept (5 of 38 parts). Run the same command to resume; it reads its "
                + "stream from the start."
        )
        #expect(
            UnfinishedUploads(of: kept, hasFoundAll: false, resumption: .resume).stopped
                == "Stopped. 40.0 of 300.0 MiB are kept (5 of 38 parts). Not all files were found yet. Run the same "
                + "command to continue."
        )
        // One more was registered and not started.
        #expect(
            UnfinishedUploads(of: kept, count: 2, resumption: .resume).stopped
                == "Stopped. 2 uploads are unfinished: 40.0 of 300.0 MiB are kept (5 of 38 parts). Resume with: mule "
                + "resume"
        )
        kept.add(bytes: 0, of: 1 << 20, parts: 0, of: 0, id: "ad8xv")
        #expect(UnfinishedUploads(of: kept, resumption: .resume).stopped.hasSuffix("Resume with: mule resume"))
        #expect(
            UnfinishedUploads(of: kept, resumption: .resume).sentence
                == "2 uploads are unfinished: 40.0 of 301.0 MiB are kept (5 of 38 parts). Run the same command or "
                + "\"mule resume\" to continue; \"mule status\" lists unfinished uploads."
        )
        #expect(
            UnfinishedUploads(of: KeptParts(), hasFoundAll: false, resumption: .resume).sentence
                == "Not all files were found yet. Run the same command to continue."
        )
    }
}
