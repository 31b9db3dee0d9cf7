internal import CCurl
import Glibc

/// One easy handle of libcurl and the multi handle that drives it, for one thread.
final class CurlHandle {
    let easy: UnsafeMutableRawPointer
    let multi: UnsafeMutableRawPointer
    private var addresses: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    /// Nil if libcurl is out of memory.
    init?() {
        Self.initialiseOnce
        guard let easy = curl_easy_init(), let multi = curl_multi_init() else { return nil }
        self.easy = easy
        self.multi = multi
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        mule_setopt_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
    }

    /// Closes the connections. libcurl calls back, so the callbacks' owner must still exist. Must be called once.
    func close() {
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
        errorText.deallocate()
        curl_slist_free_all(addresses)
    }

    /// "libcurl/7.88.1 OpenSSL/3.0.19 …", libcurl's own description.
    static var version: String {
        initialiseOnce
        return String(cString: curl_version())
    }

    // In old versions of libcurl, curl_global_init is not thread-safe: call it early and only once.
    static let initialiseOnce: Void = { curl_global_init(Int(CURL_GLOBAL_DEFAULT)) }()

    func setLong(_ option: CURLoption, _ value: Int) {
        let result = mule_setopt_long(easy, option, value)
        precondition(result == CURLE_OK, "libcurl knows every option that is set here")
    }

    func setString(_ option: CURLoption, _ value: String) {
        let result = value.withCString { mule_setopt_string(easy, option, $0) }
        precondition(result == CURLE_OK, "libcurl knows every option that is set here")
    }

    /// Resets the option to libcurl's default.
    func clear(_ option: CURLoption) {
        mule_setopt_string(easy, option, nil)
    }

    /// Addresses that need no name resolution, in the form of `TransportSettings.knownAddresses`.
    func setAddresses(_ list: [String]) {
        for entry in list { addresses = curl_slist_append(addresses, entry) }
        mule_setopt_addresses(easy, addresses)
    }

    /// libcurl's message for the last failure; may be empty, and may contain text of the server.
    var message: String {
        let text = UnsafeRawBufferPointer(start: errorText, count: strlen(errorText))
        return String(decoding: text.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    func forgetMessage() { errorText[0] = 0 }

    /// A value of the current or last transfer; 0 if unknown.
    func number(_ info: CURLINFO) -> Int {
        var value = 0
        return mule_getinfo_long(easy, info, &value) == CURLE_OK ? value : 0
    }

    /// Like `number`, for a text; nil if there is none.
    func text(_ info: CURLINFO) -> String? {
        var value: UnsafeMutablePointer<CChar>?
        guard mule_getinfo_string(easy, info, &value) == CURLE_OK, let value, value[0] != 0 else { return nil }
        return String(cString: value)
    }

    /// Like `number`, for 64-bit counts: bytes and microseconds.
    func count(_ info: CURLINFO) -> Int64 {
        var value: curl_off_t = 0
        return mule_getinfo_offset(easy, info, &value) == CURLE_OK ? Int64(value) : 0
    }
}
