-- Cleaning has left no placeholder behind: what says that there is nothing is null.
SELECT ind, title, description, poster_name, tag_list, image_src
FROM pin
WHERE title IN ('', 'Untitled', 'No Title Data Available')
  OR description IN ('', 'Untitled') OR description LIKE 'No description available%'
  OR poster_name IN ('', 'User Info Error')
  OR tag_list IN ('', 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e')
  OR image_src IN ('', 'Image src error.')
