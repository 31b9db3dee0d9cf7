import MulePlan
import MuleSources
import Testing

@Suite("Templates of destinations")
struct DestinationTemplateTests {
    private let run = DestinationTemplate.Run(host: "db-3", year: 2026, month: 1, day: 9)
    private let digest = [UInt8](0..<32)
    private let uuid = [UInt8](0x10..<0x20)

    @Test(arguments: [
        ("b/{host}/{yyyy}/{mm}/{dd}/{relpath}", "db-3/2026/01/09/sub/a.tar.gz"),
        ("b/{date}/{name}", "2026-01-09/a.tar.gz"), ("b/{stem}-{date}{ext}", "a.tar-2026-01-09.gz"),
        ("s3://b/x/", "x/sub/a.tar.gz"), ("S3://b", "sub/a.tar.gz"), ("b/", "sub/a.tar.gz"),
        ("b/{host}/", "db-3/sub/a.tar.gz"), ("b/{{{name}}}", "{a.tar.gz}"),
        ("b/{{name}}/{name}", "{name}/a.tar.gz"),
        ("b/{sha256}", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
        ("b/{uuid}{ext}", "10111213-1415-1617-1819-1a1b1c1d1e1f.gz"), ("b/fixed", "fixed"), ("b/a b/ü", "a b/ü"),
    ]
    )
    func `placeholders are filled in`(text: String, key: String) throws {
        let template = try DestinationTemplate(text)
        let address = try template.address(for: Array("sub/a.tar.gz".utf8), in: run, digest: digest, uuid: uuid)
        #expect(address.key.string == key)
        #expect(address.bucket == "b")
        #expect(template.text == text)
    }

    @Test(arguments: [
        (".bashrc", ".bashrc", ""), ("a.tar.gz", "a.tar", ".gz"), ("a", "a", ""), ("a.", "a", "."),
        (".a.b", ".a", ".b"), ("..a", "..a", ""), ("...", "...", ""), ("-r", "-r", ""), ("x/.y/z", "z", ""),
        ("x.d/z", "z", ""),
    ]
    )
    func `stem and extension make the name again`(path: String, stem: String, ext: String) throws {
        let template = try DestinationTemplate("b/{stem}|{ext}|{stem}{ext}|{name}")
        let name = stem + ext
        let key = try template.address(for: Array(path.utf8), in: run).key.string
        #expect(key == "\(stem)|\(ext)|\(name)|\(name)")
    }

    @Test
    func `bytes that are not UTF-8 become %XX, also where a character is cut`() throws {
        let template = try DestinationTemplate("b/{relpath}")
        let key = try template.address(for: [0x64, 0x2F, 0xE9, 0x0A, 0xC3], in: run).key
        #expect(key.utf8 == Array("d/%E9\n%C3".utf8))
    }

    @Test(arguments: [
        ("", "names no bucket"), ("/x", "names no bucket"), ("s3://", "names no bucket"),
        ("b u/x", "not a valid bucket name"), ("{host}/x", "placeholder in the bucket name"),
        ("b/{relpth}", "unknown placeholder {relpth}; did you mean {relpath}?"),
        ("b/{year}", "unknown placeholder {year}; known placeholders are {host} {date} {yyyy}"),
        ("b/{}", "unknown placeholder {}"),
        ("b/{name", "a { without its }"), ("b/name}", "a } without its {"),
        ("b/{na{me}", "unknown placeholder {na{me}"),
        ("b/}}}", "a } without its {"),
    ]
    )
    func `what is wrong is said, with the nearest placeholder`(text: String, part: String) {
        let error = #expect(throws: TemplateError.self) { try DestinationTemplate(text) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }

    @Test
    func `what a template needs, and whether it tells files apart, shows before the run`() throws {
        let content = try DestinationTemplate("b/{sha256}{ext}")
        #expect(content.needsDigest && !content.isInjective && content.tellsFilesApart && !content.needsUUID)
        let path = try DestinationTemplate("b/x/")
        #expect(!path.needsDigest && path.isInjective && path.tellsFilesApart)
        let date = try DestinationTemplate("b/{host}/{date}.tar")
        #expect(!date.isInjective && !date.tellsFilesApart)
        #expect(try DestinationTemplate("b/{uuid}").isInjective)
        #expect(throws: TemplateError.missing(.sha256)) { try content.address(for: [0x61], in: run) }
        #expect(throws: TemplateError.missing(.uuid)) {
            try DestinationTemplate("b/{uuid}").address(for: [0x61], in: run, uuid: [1])
        }
        #expect(throws: TemplateError.emptyKey) {
            try DestinationTemplate("b/{ext}").address(for: Array("plain".utf8), in: run)
        }
    }
}
