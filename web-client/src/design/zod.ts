// zod, told not to compile its checks: it would try `new Function`, which the content security policy of the page refuses, and every page would report
// a violation. A schema asks for this when it is made, so everybody takes `z` from here and never from the package.

import { z } from 'zod'

z.config({ jitless: true })

export { z }
